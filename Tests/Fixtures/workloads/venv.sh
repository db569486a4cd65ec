# A virtual environment, its pip, a wheel that comes and goes.
cd /tmp
/usr/bin/python3 -m venv v; echo $?
v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)'
v/bin/pip --version | cut -d' ' -f1,2
v/bin/pip list 2>/dev/null
cat >wheel.py <<'E'
import base64, hashlib, zipfile
name = 'workload-1.0.dist-info/'
files = {'workload/__init__.py': 'x = 42\n', name + 'METADATA': 'Metadata-Version: 2.1\nName: workload\nVersion: 1.0\n',
  name + 'WHEEL': 'Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n'}
record = ''
with zipfile.ZipFile('/tmp/workload-1.0-py3-none-any.whl', 'w') as z:
    for path, text in files.items():
        z.writestr(path, text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()
        record += f'{path},sha256={digest},{len(text)}\n'
    z.writestr(name + 'RECORD', record + name + 'RECORD,,\n')
E
/usr/bin/python3 wheel.py
v/bin/pip install -q --no-index --no-deps workload-1.0-py3-none-any.whl; echo $?
v/bin/python -c 'import workload; print(workload.x)'
v/bin/pip uninstall -qy workload; v/bin/python -c 'import workload' 2>&1 | tail -1
