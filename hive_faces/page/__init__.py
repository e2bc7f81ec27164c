"""The status page as a verb: served alone, or kept served beside other work."""
