/* The portal without a framework: theme, keys, sheets, live state. */
