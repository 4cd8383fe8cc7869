"""Exchange adapters: one module per exchange (``kraken.py``, ``binance.py``, ...), with one interface and one registry.

``models.py`` defines the interface, ``base.py`` the base class, ``registry.py`` maps the configuration to adapters.
"""
