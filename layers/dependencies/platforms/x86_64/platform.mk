# The name that wheels give to Lambda's x86_64.
MACHINE := x86_64
