"""The commands: the only place where api, engine and machine meet."""
