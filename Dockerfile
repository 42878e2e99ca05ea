# The portal and its workers: one image, two commands (see docker-compose.yml).
FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 EVALPORTAL_DATA=/data
WORKDIR /app
COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN useradd --system --uid 10001 portal && mkdir /data && chown portal /data
USER portal
VOLUME /data
EXPOSE 8000
CMD ["sh", "-c", "python manage.py migrate --noinput && exec daphne -b 0.0.0.0 -p 8000 evalportal.asgi:application"]
