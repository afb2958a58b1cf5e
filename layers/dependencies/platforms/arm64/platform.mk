# The name that wheels give to Lambda's arm64.
MACHINE := aarch64
