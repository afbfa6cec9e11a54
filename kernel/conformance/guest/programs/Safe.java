// SPDX-License-Identifier: GPL-2.0
// What a Java program asks of the system: threads, signals behind null checks and stack overflow, memory, files,
// sockets, processes. Prints TAP.

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;

public final class Safe {
    private interface Body {
        void run() throws Exception;
    }

    private static int count;
    private static boolean failed;
    private static volatile Object nothing;
    private static int depth;

    private static void check(String name, Body body) {
        count++;
        try {
            body.run();
            System.out.println("ok " + count + " - " + name);
        } catch (Throwable problem) {
            failed = true;
            System.out.println("not ok " + count + " - " + name);
            System.out.println("# " + problem);
        }
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException(what);
        }
    }

    private static void descend() {
        depth++;
        descend();
    }

    private static int hash() {
        return nothing.hashCode();
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println("1..9");
        check("null dereference, compiled", () -> {
            int caught = 0;
            for (int i = 0; i < 20000; i++) {
                nothing = i % 10 == 0 ? null : "x";
                try {
                    hash();
                } catch (NullPointerException expected) {
                    caught++;
                }
            }
            require(caught == 2000, "caught " + caught);
        });
        check("stack overflow", () -> {
            for (int i = 0; i < 3; i++) {
                depth = 0;
                try {
                    descend();
                } catch (StackOverflowError expected) {
                    require(depth > 500, "depth " + depth);
                    continue;
                }
                throw new IllegalStateException("no overflow");
            }
        });
        check("threads and locks", Safe::threads);
        check("virtual threads", () -> {
            AtomicLong sum = new AtomicLong();
            try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
                for (int i = 0; i < 200; i++) {
                    final int number = i;
                    executor.submit(() -> {
                        Thread.sleep(5);
                        return sum.addAndGet(number);
                    });
                }
            }
            require(sum.get() == 19900, "sum " + sum.get());
        });
        check("collections of garbage", () -> {
            List<byte[]> kept = new ArrayList<>();
            for (int i = 0; i < 4000; i++) {
                byte[] block = new byte[32 << 10];
                block[i] = 1;
                if (i % 400 == 0) {
                    kept.add(block);
                }
            }
            System.gc();
            require(kept.size() == 10 && kept.get(1)[400] == 1, "lost");
        });
        check("files and mappings", Safe::files);
        check("sockets", Safe::sockets);
        check("processes", () -> {
            Process process = new ProcessBuilder(arguments[0] + "/bin/cat", "/proc/self/stat").start();
            try (InputStream stream = process.getInputStream()) {
                require(new String(stream.readAllBytes()).contains("(cat)"), "output");
            }
            require(process.waitFor() == 0, "status");
        });
        check("direct calls, once warm", () -> {
            long[] before = calls();
            for (int i = 0; i < 20; i++) {
                files();
                sockets();
                threads();
            }
            long[] after = calls();
            long direct = after[0] - before[0];
            long all = direct + after[1] - before[1];
            require(direct >= all * 0.95, direct + " of " + all);
        });
        System.exit(failed ? 1 : 0);
    }

    /** Of this process so far: direct system calls, and those by SYSCALL; nothing outside kernel mode. */
    private static long[] calls() throws IOException {
        long[] found = new long[2];
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            String[] words = line.split("\\s+");
            if (words[0].equals("KernelModeCallsDirect:")) {
                found[0] = Long.parseLong(words[1]);
            } else if (words[0].equals("KernelModeCallsTrap:")) {
                found[1] = Long.parseLong(words[1]);
            }
        }
        return found;
    }

    private static void threads() throws InterruptedException {
        final int number = 8;
        final int rounds = 2000;
        final long[] sum = new long[1];
        final Object lock = new Object();
        CountDownLatch done = new CountDownLatch(number);
        for (int i = 0; i < number; i++) {
            new Thread(() -> {
                for (int j = 0; j < rounds; j++) {
                    synchronized (lock) {
                        sum[0]++;
                    }
                    if (j % 100 == 0) {
                        Thread.yield();
                    }
                }
                done.countDown();
            }).start();
        }
        done.await();
        require(sum[0] == (long) number * rounds, "sum " + sum[0]);
    }

    private static void files() throws IOException {
        Path path = Files.createTempFile("safe", ".data");
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            ByteBuffer mapping = channel.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20);
            for (int i = 0; i < mapping.capacity(); i += 4096) {
                mapping.putInt(i, i);
            }
            ByteBuffer read = ByteBuffer.allocate(4);
            channel.read(read, 40960);
            require(read.getInt(0) == 40960, "content");
        } finally {
            Files.delete(path);
        }
    }

    private static void sockets() throws IOException, InterruptedException {
        try (ServerSocket server = new ServerSocket(0, 5, InetAddress.getLoopbackAddress())) {
            Thread echo = new Thread(() -> {
                try (Socket peer = server.accept()) {
                    peer.getInputStream().transferTo(peer.getOutputStream());
                } catch (IOException problem) {
                    throw new IllegalStateException(problem);
                }
            });
            echo.start();
            try (Socket socket = new Socket(server.getInetAddress(), server.getLocalPort())) {
                socket.getOutputStream().write("across the loopback".getBytes());
                socket.shutdownOutput();
                require(new String(socket.getInputStream().readAllBytes()).equals("across the loopback"), "echo");
            }
            echo.join();
        }
    }
}
