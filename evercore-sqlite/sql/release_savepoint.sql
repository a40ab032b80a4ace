RELEASE evercore
