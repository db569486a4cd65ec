// What programs ask of the network's devices: netlink's route (rtnetlink(7)), ioctl requests (netdevice(7)), /proc/net; the loopback by both
// families.
#include "../check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int route(void) {
  int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct sockaddr_nl a = {.nl_family = AF_NETLINK};
  bind(s, (void *)&a, sizeof a);
  return s;
}

// A dump's messages of one type, and whether it came to its end; `found` looks at each.
static int dump(int s, int type, int trailing, int wanted, int (*found)(struct nlmsghdr *)) {
  static unsigned sequence;
  struct { struct nlmsghdr h; struct rtgenmsg g; char rest[200]; } ask = {
    {NLMSG_LENGTH(sizeof(struct rtgenmsg)), type, NLM_F_REQUEST | NLM_F_DUMP, ++sequence, 0}, {AF_UNSPEC}, {0}};
  if (send(s, &ask, NLMSG_ALIGN(ask.h.nlmsg_len) + trailing, 0) < 0) return -errno;
  static char b[65536];
  int seen = 0;
  for (;;) {
    long peeked = recv(s, b, 1, MSG_PEEK | MSG_TRUNC), n = recv(s, b, sizeof b, 0);
    if (peeked != n) return -2;
    if (n <= 0) return -1;
    for (struct nlmsghdr *h = (void *)b; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
      if (h->nlmsg_seq != sequence) return -3;
      if (h->nlmsg_type == NLMSG_DONE) return seen;
      if (h->nlmsg_type == NLMSG_ERROR) return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
      if (h->nlmsg_type == wanted && found(h)) seen = 1;
    }
  }
}

static int isLoopback(struct nlmsghdr *h) {
  struct ifinfomsg *i = NLMSG_DATA(h);
  return i->ifi_index == 1 && i->ifi_flags & IFF_LOOPBACK && i->ifi_flags & IFF_UP;
}
static int isLoopbackAddress(struct nlmsghdr *h) {
  struct ifaddrmsg *i = NLMSG_DATA(h);
  return i->ifa_index == 1 && i->ifa_family == AF_INET && i->ifa_prefixlen == 8;
}
static int isAny(struct nlmsghdr *h) { return h->nlmsg_len > 0; }

static void netlink(void) {
  int s = route(), on = 1;
  gives("links", dump(s, RTM_GETLINK, 0, RTM_NEWLINK, isLoopback), 1);
  gives("addresses", dump(s, RTM_GETADDR, 0, RTM_NEWADDR, isLoopbackAddress), 1);
  gives("what comes after the last message is none", dump(s, RTM_GETADDR, 128, RTM_NEWADDR, isLoopbackAddress), 1);
  gives("routes", dump(s, RTM_GETROUTE, 0, RTM_NEWROUTE, isAny), 1);
  check("neighbours", dump(s, RTM_GETNEIGH, 0, RTM_NEWNEIGH, isAny) >= 0);
  check("rules", dump(s, RTM_GETRULE, 0, RTM_NEWRULE, isAny) >= 0);
  gives("strict", setsockopt(s, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on), 0);
  gives("a message too short is read over", send(s, "abc", 3, 0), 3);
  gives("nothing is said of it", CALL(SYS_recvfrom, s, &on, 4, MSG_DONTWAIT, 0, 0), -EAGAIN);
  struct sockaddr_nl a;
  socklen_t size = sizeof a;
  gives("name", getsockname(s, (void *)&a, &size), 0);
  check("a number of its own", a.nl_family == AF_NETLINK && a.nl_pid != 0);
  gives("a family that is not there", CALL(SYS_socket, AF_NETLINK, SOCK_RAW, 31), -EPROTONOSUPPORT);
  close(s);
  struct ifaddrs *list = 0;
  gives("getifaddrs", getifaddrs(&list), 0);
  int four = 0, six = 0;
  for (struct ifaddrs *i = list; i; i = i->ifa_next) {
    if (!i->ifa_addr || strcmp(i->ifa_name, "lo")) continue;
    four |= i->ifa_addr->sa_family == AF_INET;
    six |= i->ifa_addr->sa_family == AF_INET6;
  }
  check("the loopback's", four && six);
  freeifaddrs(list);
  gives("if_nametoindex", if_nametoindex("lo"), 1);
  char name[IF_NAMESIZE];
  check("if_indextoname", if_indextoname(1, name) && !strcmp(name, "lo"));
}

static void requests(void) {
  int s = socket(AF_INET, SOCK_DGRAM, 0);
  struct ifreq r = {.ifr_name = "lo"};
  gives("SIOCGIFFLAGS", ioctl(s, SIOCGIFFLAGS, &r), 0);
  check("the loopback is up", r.ifr_flags & IFF_LOOPBACK && r.ifr_flags & IFF_UP);
  gives("SIOCGIFADDR", ioctl(s, SIOCGIFADDR, &r), 0);
  check("127.0.0.1", ((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
  gives("SIOCGIFNETMASK", ioctl(s, SIOCGIFNETMASK, &r), 0);
  check("255.0.0.0", ((struct sockaddr_in *)&r.ifr_netmask)->sin_addr.s_addr == htonl(0xff000000));
  gives("SIOCGIFMTU", ioctl(s, SIOCGIFMTU, &r), 0);
  check("65536", r.ifr_mtu == 65536);
  gives("SIOCGIFHWADDR", ioctl(s, SIOCGIFHWADDR, &r), 0);
  gives("SIOCGIFINDEX", ioctl(s, SIOCGIFINDEX, &r), 0);
  gives("the first", r.ifr_ifindex, 1);
  gives("SIOCGIFNAME", ioctl(s, SIOCGIFNAME, &r), 0);
  strcpy(r.ifr_name, "none77");
  gives("no such device", CALL(SYS_ioctl, s, SIOCGIFFLAGS, &r), -ENODEV);
  gives("nowhere", CALL(SYS_ioctl, s, SIOCGIFFLAGS, NOWHERE), -EFAULT);
  struct ifreq all[32];
  struct ifconf c = {.ifc_len = sizeof all, .ifc_req = all};
  gives("SIOCGIFCONF", ioctl(s, SIOCGIFCONF, &c), 0);
  int seen = 0;
  for (unsigned i = 0; i < c.ifc_len / sizeof *all; i++) seen |= !strcmp(all[i].ifr_name, "lo");
  check("lists the loopback", seen);
  c = (struct ifconf){.ifc_len = 0, .ifc_req = 0};
  gives("its size", ioctl(s, SIOCGIFCONF, &c), 0);
  check("is of whole entries", c.ifc_len > 0 && c.ifc_len % sizeof *all == 0);
  c = (struct ifconf){.ifc_len = sizeof *all, .ifc_req = NOWHERE};
  gives("into nothing", CALL(SYS_ioctl, s, SIOCGIFCONF, &c), -EFAULT);
  close(s);
}

static int holds(const char *path, const char *text) {
  static char b[65536];
  int f = open(path, O_RDONLY);
  if (f < 0) return 0;
  long n = read(f, b, sizeof b - 1);
  close(f);
  b[n < 0 ? 0 : n] = 0;
  return strstr(b, text) != 0;
}

static void files(void) {
  check("/proc/net/dev", holds("/proc/net/dev", "lo:"));
  check("/proc/net/if_inet6", holds("/proc/net/if_inet6", " lo\n"));
  check("/proc/net/route", holds("/proc/net/route", "Iface"));
  check("/proc/net/arp", holds("/proc/net/arp", "IP address"));
  check("/proc/net/snmp", holds("/proc/net/snmp", "Tcp:"));
  check("/proc/net/netstat", holds("/proc/net/netstat", "TcpExt:"));
  check("/proc/net/sockstat", holds("/proc/net/sockstat", "TCP: inuse"));
  check("/proc/net/unix", holds("/proc/net/unix", "RefCount"));
  struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
  socklen_t size = sizeof a;
  int s = socket(AF_INET, SOCK_STREAM, 0);
  bind(s, (void *)&a, sizeof a);
  listen(s, 1);
  getsockname(s, (void *)&a, &size);
  char line[40];
  sprintf(line, ": 0100007F:%04X 00000000:0000 0A", ntohs(a.sin_port));
  check("/proc/net/tcp", holds("/proc/net/tcp", line));
  close(s);
}

static void six(void) {
  struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}, from;
  socklen_t size = sizeof a;
  int s = socket(AF_INET6, SOCK_DGRAM, 0), c = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  char b[16];
  gives("bind", bind(s, (void *)&a, sizeof a), 0);
  gives("name", getsockname(s, (void *)&a, &size), 0);
  gives("nothing yet", CALL(SYS_recvfrom, c, b, 1, 0, 0, 0), -EAGAIN);
  gives("send", sendto(c, "six", 3, 0, (void *)&a, sizeof a), 3);
  size = sizeof from;
  gives("receive", recvfrom(s, b, sizeof b, 0, (void *)&from, &size), 3);
  check("from", size == sizeof from && from.sin6_family == AF_INET6);
  gives("an address too short", CALL(SYS_sendto, c, "x", 1, 0, &a, 8), -EINVAL);
  gives("connect", connect(c, (void *)&a, sizeof a), 0);
  close(s);
  send(c, "x", 1, 0);
  struct pollfd p = {c, POLLIN, 0};
  gives("an error comes back", poll(&p, 1, 5000), 1);
  check("as one", p.revents & POLLERR);
  int error = 0;
  size = sizeof error;
  gives("SO_ERROR", getsockopt(c, SOL_SOCKET, SO_ERROR, &error, &size), 0);
  gives("refused", error, ECONNREFUSED);
  close(c);
}

static void streams(void) {
  struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
  socklen_t size = sizeof a;
  int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), value = 0;
  bind(l, (void *)&a, sizeof a);
  getsockname(l, (void *)&a, &size);
  int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  long first = CALL(SYS_connect, c, &a, sizeof a);
  check("refused at once or later", first == -ECONNREFUSED || first == -EINPROGRESS);
  close(c);
  gives("a port of another's", CALL(SYS_bind, socket(AF_INET, SOCK_STREAM, 0), &a, sizeof a), -EADDRINUSE);
  listen(l, 4);
  gives("nobody yet", CALL(SYS_accept, l, 0, 0), -EAGAIN);
  c = socket(AF_INET, SOCK_STREAM, 0);
  gives("connect", connect(c, (void *)&a, sizeof a), 0);
  gives("again", CALL(SYS_connect, c, &a, sizeof a), -EISCONN);
  struct pollfd p = {l, POLLIN, 0};
  gives("somebody", poll(&p, 1, 5000), 1);
  int s = accept(l, 0, 0);
  check("accept", s >= 0);
  gives("its flags are not the listener's", fcntl(s, F_GETFL) & O_NONBLOCK, 0);
  size = sizeof value;
  gives("SO_ACCEPTCONN", getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &value, &size), 0);
  gives("it listens", value, 1);
  gives("SO_DOMAIN", getsockopt(s, SOL_SOCKET, SO_DOMAIN, &value, &size), 0);
  gives("is inet", value, AF_INET);
  gives("an option that is not there", CALL(SYS_getsockopt, s, SOL_SOCKET, 9999, &value, &size), -ENOPROTOOPT);
  struct linger off = {1, 0};
  setsockopt(s, SOL_SOCKET, SO_LINGER, &off, sizeof off);
  close(s);
  gives("reset", CALL(SYS_read, c, &value, 1), -ECONNRESET);
  gives("then the end", CALL(SYS_read, c, &value, 1), 0);
  close(c);
  close(l);
}

int main(void) {
  netlink();
  requests();
  files();
  six();
  streams();
  return finish();
}
