"""Every setting of the portal, read from the environment; nothing else reads the environment.

Two variables scale it: DATABASE_URL (PostgreSQL) and REDIS_URL (broker, channel layer, cache).
Without them everything runs in one process on SQLite.
"""

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from cryptography.fernet import Fernet
from django.urls import reverse_lazy

from evalportal.lib import env

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("EVALPORTAL_DATA") or BASE_DIR / "var").resolve()
REDIS_URL = env.text("REDIS_URL")
EMBEDDED = not REDIS_URL
VERSION = str(tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"])

# Secrets: from the environment, else kept in the data folder with owner-only permission.
SECRET_KEY = env.text("EVALPORTAL_SECRET_KEY") or env.kept_secret(DATA_DIR / "secret-key")
FIELD_KEYS = env.words("EVALPORTAL_FIELD_KEYS") or [
    env.kept_secret(DATA_DIR / "field-key", make=Fernet.generate_key().decode())
]

DEBUG = env.flag("EVALPORTAL_DEBUG")
ALLOWED_HOSTS = env.words("EVALPORTAL_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("EVALPORTAL_ORIGINS")
HTTPS = env.flag("EVALPORTAL_HTTPS")

# Hosts that outbound calls may reach although they are private; the embedded default is this machine.
OUTBOUND_ALLOW = env.words("EVALPORTAL_OUTBOUND_ALLOW", "127.0.0.1/32,::1/128" if EMBEDDED else "")
HUB_URL = env.text("EVALPORTAL_HUB_URL")  # where datasets are fetched by name; empty: nowhere
HUB_TOKEN = env.text("EVALPORTAL_HUB_TOKEN")  # sent to that host alone; a workspace may set its own

INSTALLED_APPS = [
    "evalportal",
    "workspaces",
    "registry",
    "datasets",
    "judges",
    "webhooks",
    "runs",
    "analysis",
    "benchmarks",
    "catalogue",
    "generation",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin.apps.SimpleAdminConfig",  # urls.py discovers it: workers need none
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "channels",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "evalportal.middleware.security_headers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "workspaces.middleware.readable_query",
    "workspaces.middleware.first_start",
]

ROOT_URLCONF = "evalportal.urls"
ASGI_APPLICATION = "evalportal.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "workspaces.context.navigation",
                "runs.context.active_runs",
            ],
            "builtins": ["evalportal.lib.ui"],
        },
    }
]

# Database: SQLite in the data folder, or whatever DATABASE_URL names.
SQLITE: dict[str, Any] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": DATA_DIR / "evalportal.sqlite3",
    "OPTIONS": {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
            "PRAGMA cache_size=-8000; PRAGMA temp_store=MEMORY;"
        ),
    },
    "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
}
DATABASE_URL = env.text("DATABASE_URL")
DATABASES = {
    "default": dict(dj_database_url.parse(DATABASE_URL))  # a request's thread ends with it: nothing to keep
    if DATABASE_URL
    else SQLITE
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "evalportal.lib.redis_cache.ForgivingCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"pool_class": "evalportal.lib.redis_cache.KeptPools"},
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
    if REDIS_URL
    else {"BACKEND": "evalportal.embedded.ThreadSafeChannelLayer", "CONFIG": {"capacity": 1000}}
}

# Celery: messages carry ids, nothing else, and may be lost; the database is the truth.
CELERY_BROKER_URL = REDIS_URL or "memory://localhost/"
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 600} if REDIS_URL else {"polling_interval": 0.1}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_DB_REUSE_MAX = 1000  # else Celery's Django fixup reconnects around every task
ENGINE_SLICE_S = env.integer("EVALPORTAL_ENGINE_SLICE_S", 30)
ENGINE_LEASE_S = env.integer("EVALPORTAL_ENGINE_LEASE_S", 20)  # renewed at a quarter, given up at three
ENGINE_PUMPS_PER_RUN = env.integer("EVALPORTAL_ENGINE_PUMPS_PER_RUN", 8)  # processes that may share one run
ENGINE_SLOTS = env.integer("EVALPORTAL_ENGINE_SLOTS", 32)  # runs at once in one process
ENGINE_MIN_FREE_MB = env.integer("EVALPORTAL_ENGINE_MIN_FREE_MB", 200)  # runs pause below it

# People
AUTH_USER_MODEL = "workspaces.User"
JUDGE_PURSE = "runs.services.purse.MonthPurse"  # counts what judges are asked outside of runs
JUDGE_RESPONSES = "runs.selectors_responses.RunResponses"  # what judges are tried on
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_ADAPTER = "workspaces.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # the reset form is not a way to send mail to strangers
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Evalportal: "
ALLAUTH_TRUSTED_PROXY_COUNT = env.integer("EVALPORTAL_PROXIES", 0)  # whose X-Forwarded-For is believed
CSRF_FAILURE_VIEW = "workspaces.error_pages.csrf_failure"
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend"
    if env.text("EMAIL_HOST")
    else ("django.core.mail.backends.console.EmailBackend")
)
EMAIL_HOST = env.text("EMAIL_HOST")
EMAIL_PORT = env.integer("EMAIL_PORT", 587)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=True)
DEFAULT_FROM_EMAIL = env.text("EVALPORTAL_FROM", "evalportal@localhost")

# Browser-facing safety
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]  # probes ask from inside, without TLS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"

# Uploads: parsed as streams, with limits
MEDIA_ROOT = DATA_DIR / "media"
FILE_UPLOAD_TEMP_DIR = None
FILE_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 << 20
UPLOAD_MAX_BYTES = env.integer("EVALPORTAL_UPLOAD_MAX_MB", 2048) << 20

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "evalportal.lib.static_files.VersionedStaticFiles"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600 if not DEBUG else 0

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "workspaces.api_base.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["workspaces.api_base.DeclaredRole"],
    "DEFAULT_THROTTLE_CLASSES": ["workspaces.api_base.TokenThrottle"],
    "DEFAULT_PAGINATION_CLASS": "workspaces.api_base.KeysetPagination",
    "PAGE_SIZE": 50,
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_VERSIONING_CLASS": None,
    "EXCEPTION_HANDLER": "workspaces.api_errors.problem_details",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Evalportal API",
    "DESCRIPTION": "Datasets, models, evaluations, runs and trials of one workspace. "
    "Send `Authorization: Bearer <token>`; a token belongs to one workspace and has a role.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "evalportal.api_schema.describe_errors",
    ],
    "ENUM_NAME_OVERRIDES": {
        "RunStatus": "runs.models.RunStatus",
        "TrialState": "runs.models.TrialState",
        "DraftedQueryState": "generation.models.DraftState",
        "UploadType": "datasets.models.UploadType",
        "Role": "workspaces.models.Role",
    },
}

UNFOLD = {
    "SITE_TITLE": "Evalportal",
    "SITE_HEADER": "Evalportal",
    "SITE_SUBHEADER": "Administration",
    "SITE_URL": "/",
    "SITE_DROPDOWN": [
        {"title": "Portal", "link": "/", "icon": "home"},
        {"title": "Status", "link": reverse_lazy("status"), "icon": "monitor_heart"},
    ],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "/static/icon.svg"}],
    "COLORS": {
        "primary": {  # the portal's accent (static/tokens.css), from tint to ink
            "50": "oklch(97.5% 0.01 256)",
            "100": "oklch(95.8% 0.018 256)",
            "200": "oklch(90% 0.04 256)",
            "300": "oklch(80% 0.07 256)",
            "400": "oklch(72% 0.11 254)",
            "500": "oklch(58% 0.14 256)",
            "600": "oklch(48% 0.15 258)",
            "700": "oklch(42% 0.13 258)",
            "800": "oklch(36% 0.1 258)",
            "900": "oklch(30% 0.07 260)",
            "950": "oklch(22% 0.05 260)",
        },
    },
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": True,
    "ENVIRONMENT": None,
}

METRICS_TOKEN = env.text("EVALPORTAL_METRICS_TOKEN")  # what a monitoring system sends to /metrics
API_REQUESTS_PER_MINUTE = env.integer("EVALPORTAL_API_REQUESTS_PER_MINUTE", 1200)  # per token
IDEMPOTENCY_KEPT = timedelta(days=1)
INVITATION_LIFETIME = timedelta(days=7)

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("EVALPORTAL_LOG_LEVEL", "WARNING")},
}
