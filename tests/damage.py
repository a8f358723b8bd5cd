"""What downloads leave in the place of a file."""

POINTER = (
    b'version https://git-lfs.github.com/spec/v1\noid sha256:'
    + b'0' * 64
    + b'\nsize 1234567\n'
)
PAGE = b'\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n'
