# A page with a script, as text and as a picture. Root's browser runs without a sandbox of its own.
cd /tmp
export XDG_CONFIG_HOME=/tmp/config XDG_CACHE_HOME=/tmp/cache
echo '<h1 id=a>hi</h1><script>document.title="t"; a.textContent += [1,2,3].map(x => x*x).join()</script>' >page.html
browse() { chromium --headless=new --no-sandbox --disable-gpu "$@" file:///tmp/page.html 2>/dev/null; echo $?; }
browse --dump-dom
browse --screenshot=/tmp/picture.png --window-size=400,300
head -c 24 picture.png | od -An -tx1
