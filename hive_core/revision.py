def head_revision(path):
    return None
