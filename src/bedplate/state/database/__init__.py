"""The database under the stores: where it is, opening, schema, migrations, connections, locks, the driver's errors."""
