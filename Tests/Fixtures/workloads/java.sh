# The compiler and the machine: parallel streams, pools, sockets, files, children, null pointers, deep stacks, collections of garbage.
cd /tmp
cat >H.java <<'E'
import java.io.*;
import java.net.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
public class H {
  static int deep(int n) { return deep(n + 1) + 1; }
  public static void main(String[] a) throws Exception {
    System.out.println(IntStream.range(0, 100000).parallel().mapToLong(i -> i).sum());
    ExecutorService pool = Executors.newFixedThreadPool(4);
    List<Future<Integer>> all = new ArrayList<>();
    for (int i = 0; i < 8; i++) { int n = i; all.add(pool.submit(() -> n * n)); }
    for (var x : all) System.out.print(x.get() + " ");
    pool.shutdown();
    System.out.println();
    ServerSocket server = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
    Thread client = new Thread(() -> {
      try (Socket c = new Socket(server.getInetAddress(), server.getLocalPort())) { c.getOutputStream().write("hello\n".getBytes()); }
      catch (IOException x) { x.printStackTrace(); }
    });
    client.start();
    try (Socket c = server.accept()) { System.out.println(new BufferedReader(new InputStreamReader(c.getInputStream())).readLine()); }
    client.join();
    Files.writeString(Path.of("/tmp/jf"), "data");
    System.out.println(Files.readString(Path.of("/tmp/jf")) + Files.size(Path.of("/tmp/jf")));
    Process p = new ProcessBuilder("sh", "-c", "echo child; exit 4").redirectErrorStream(true).start();
    System.out.print(new String(p.getInputStream().readAllBytes()));
    System.out.println(p.waitFor());
    try { Object o = null; o.toString(); } catch (NullPointerException x) { System.out.println("null"); }
    try { deep(0); } catch (StackOverflowError x) { System.out.println("deep"); }
    byte[][] kept = new byte[50][];
    for (int i = 0; i < 500; i++) kept[i % 50] = new byte[100000];
    System.gc();
    System.out.println(ProcessHandle.current().info().command().isPresent());
    System.exit(3);
  }
}
E
java -version 2>&1 | head -1
javac H.java && java -Xmx200m H; echo $?
jar cf h.jar *.class && jar tf h.jar | sort | tail -1
