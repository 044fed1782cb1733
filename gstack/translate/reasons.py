"""Why what GCE has is refused, where several collections say the same.

Apart because a sentence that a client reads should be the same wherever it is said; what one collection alone says
stands in its policy.
"""

ENCRYPTION = "CloudStack encrypts by offering, with keys of its own."
RESOURCE_MANAGER_TAGS = "Resource manager tags have no counterpart in CloudStack."
HARDWARE = "What a machine's hardware offers is decided by CloudStack's offerings and templates."
DISPLAY = "Every machine has a display; it cannot be taken away or added."
LICENSES = "There are no licences to be paid for."
ONE_ZONE = "Disks live in one zone."
SPEED = "Disk types say how fast a disk is."
STORAGE_POOL = "Disk types say where a disk is kept."
STORAGE = "CloudStack chooses storage by its own rules."
MACHINE_IMAGES = "There are no machine images; make images or snapshots of an instance's disks."
INSTANT_SNAPSHOTS = "There are no instant snapshots."
SNAPSHOT_CHAINS = "CloudStack keeps its own chains of snapshots."
GUEST_FLUSH = "CloudStack does not ask a guest to write out what it holds."
NO_POLICIES = "The resource policies there are, are snapshot schedules, which disks have."
IPV6 = "Only IPv4 is supported."
ONE_RANGE = "A CloudStack network has one range."
OWN_ADDRESSES = "CloudStack has its own public addresses."
MOVED_ADDRESS = "CloudStack cannot give an address to another account."
REVERSE_DNS = "CloudStack keeps no reverse DNS."
CLOUD_ARMOR = "Google Cloud Armor has no counterpart in CloudStack."
