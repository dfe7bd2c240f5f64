"""The lock of a run: one driver at a time, on any file system, network ones included.

The protocol, which uses links, renames and exclusive creation alone: locks of the system cannot be relied on over
NFS.

- **The file.** ``driver.json`` says who drives the run: host, process with its start time, a token of its own, a
  count and the time of the last heartbeat, and how far the run has come. It has a fixed size, ends in a
  checksum, and is written in place, so that a heartbeat fits on a full disk and a reader knows a half-written one
  (``driver``).
- **Taking.** A driver writes such a file under a name of its own and links it to ``driver.json``. Of many that try at
  once one succeeds. Letting go is writing "ended" into it (``driver_lock.acquire``).
- **Taking over.** Where the process can be looked up from here, it decides at once whether its driver lives: a
  process of that number with another start time is another one. Else the driver is dead after 60 seconds without a
  heartbeat by the file server's clock. Each driver has at most one successor: whoever links its file to
  ``.driver.<token>.next`` first. It then renames its file over ``driver.json``. So exactly one of many wins, the lock
  is never missing, and a successor that dies half way has a successor too.
- **Holding.** A driver beats every two seconds. Before each write to the records it makes sure that the file is still
  its own; where it is not, it writes nothing more and ends. One that cannot see its file for a while waits before it
  gives up (``DriverLock``).

Tried instead: flufl.lock, see docs/LOG.md, 2026-11-28.
"""
