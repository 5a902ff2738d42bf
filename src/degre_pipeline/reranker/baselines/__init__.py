"""Published methods that DeGRe is compared with, one file each."""
