-- Another number after others have committed; the database itself is not read.
PRAGMA data_version
