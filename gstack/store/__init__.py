"""What gstack must remember itself: credentials, tokens, operations, claims, and the overlay.

CloudStack holds the truth about the cloud; losing this database loses no machine, disk, firewall or label.
"""
