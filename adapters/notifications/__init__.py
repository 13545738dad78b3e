"""From a letter to the people: e-mail, SMS, or a folder where neither is set up."""
