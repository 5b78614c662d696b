"""Signal Temporal Logic: rules over signals that are parsed, monitored, explained and forecast. Imports no other package.

docs/stl.md declares the language and what every operator means.
"""
