# Linear algebra in several threads, mapped arrays, memory shared between processes.
/usr/bin/python3 - <<'E'
import multiprocessing, threading
from multiprocessing import shared_memory
import numpy as np
r = np.random.default_rng(1); a = r.random((300, 300)); b = a @ a.T
print(round(float(np.linalg.det(a[:20, :20])), 9), round(float(b.trace()), 6), np.allclose(np.linalg.inv(a) @ a, np.eye(300)))
np.save('/tmp/a.npy', a); print(np.array_equal(np.load('/tmp/a.npy', mmap_mode='r'), a))
w = np.memmap('/tmp/w', dtype='i4', mode='w+', shape=(1000,)); w[:] = 7; w.flush()
print(open('/tmp/w', 'rb').read()[:4], np.fft.fft(np.arange(8)).real)
threads = [threading.Thread(target=lambda: np.linalg.svd(a)) for _ in range(3)]
[t.start() for t in threads]; [t.join() for t in threads]; print(np.sort(r.integers(0, 100, 10)))
shared = shared_memory.SharedMemory(create=True, size=800)
x = np.ndarray((100,), dtype='f8', buffer=shared.buf)
def fill(): np.ndarray((100,), dtype='f8', buffer=shared.buf)[:] = 3
p = multiprocessing.Process(target=fill); p.start(); p.join(); print(x.sum()); del x; shared.close(); shared.unlink()
E
