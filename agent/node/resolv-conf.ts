import { classOfIp } from '#base/ip-class.ts';
import { formatIp, parseIp, withoutZone } from '#base/ip.ts';

/** What resolv.conf(5) says. */
export interface ResolvConf {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

/** Pure. The last `search` or `domain` counts; `.` is no search domain. */
export function parseResolvConf(text: string): ResolvConf {
  const words = text
    .split('\n')
    .map((line) =>
      line
        .replace(/[#;].*/, '')
        .trim()
        .split(/\s+/),
    )
    .filter(([keyword]) => keyword !== '');
  const of = (keyword: string): readonly string[][] =>
    words.filter(([first]) => first === keyword).map(([, ...rest]) => rest);
  return {
    nameservers: of('nameserver').flat(),
    searches: (of('search').at(-1) ?? of('domain').at(-1) ?? []).filter((search) => search !== '.'),
    options: of('options').flat(),
  };
}

/** Whether a nameserver is one that only the node itself reaches (systemd-resolved's 127.0.0.53, a dnsmasq). */
export function isLoopbackServer(server: string): boolean {
  return classOfIp(server) === 'loopback';
}

/** The nameservers that are addresses, each as the kernel writes it and once, in order. */
export function nameserversOf(text: string): readonly string[] {
  const servers = parseResolvConf(text).nameservers.flatMap((server) => {
    const bare = withoutZone(server);
    const ip = parseIp(bare);
    return ip === undefined ? [] : [`${formatIp(ip)}${server.slice(bare.length)}`];
  });
  return [...new Set(servers)];
}
