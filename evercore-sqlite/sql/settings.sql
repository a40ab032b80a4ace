SELECT durability.synchronous, patience.timeout
FROM pragma_synchronous AS durability, pragma_busy_timeout AS patience
