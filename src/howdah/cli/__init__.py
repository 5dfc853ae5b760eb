"""The command ``howdah``: one module per subcommand, loaded when it is called."""
