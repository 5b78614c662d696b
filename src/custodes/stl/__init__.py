"""Signal Temporal Logic: rules over signals that are parsed, monitored, explained and forecast.

docs/stl.md declares the language and what every operator means.
"""
