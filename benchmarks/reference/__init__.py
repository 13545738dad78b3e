"""The stock Strawberry app that the product is measured beside: slots are rows, nothing is tuned, nothing is crippled."""
