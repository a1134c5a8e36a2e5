import type { Announcer, OpenAnnouncer } from './announcer.ts';

interface Station {
  readonly mac: string;
  answered: ReadonlySet<string>;
  watched: ReadonlySet<string>;
  readonly hear: (address: string, mac: string) => void;
}

export interface FakeLink {
  readonly open: OpenAnnouncer;
  /** Each announcement, as `ADDRESS MAC`. */
  readonly announced: readonly string[];
  /** Whose table leads to whom, as all of the link learnt it. */
  holderOf(address: string): string | undefined;
  /** MACs that would answer for the address now. */
  answering(address: string): readonly string[];
  /** As a host whose process was killed, or whose cable was pulled: it says and hears nothing more. */
  cut(mac: string): void;
}

/** A link in memory, of any number of hosts. What is said is heard before the call returns. */
export function createFakeLink(): FakeLink {
  const stations = new Set<Station>();
  const holders = new Map<string, string>();
  const announced: string[] = [];
  const claim = (from: Station, address: string, only?: Station): void => {
    if (!stations.has(from)) return;
    if (only === undefined) holders.set(address, from.mac);
    for (const station of only === undefined ? stations : [only])
      if (station !== from && station.watched.has(address)) station.hear(address, from.mac);
  };
  return {
    announced,
    holderOf: (address) => holders.get(address),
    answering: (address) =>
      [...stations].filter(({ answered }) => answered.has(address)).map(({ mac }) => mac),
    cut: (mac) => {
      for (const station of stations) if (station.mac === mac) stations.delete(station);
    },
    open: async ({ link: { mac }, onHeard }): Promise<Announcer> => {
      const own: Station = {
        mac,
        answered: new Set(),
        watched: new Set(),
        hear: (address, other) => onHeard({ address, mac: other }),
      };
      stations.add(own);
      return {
        setAnswered: (addresses) => void (own.answered = new Set(addresses)),
        setWatched: (addresses) => void (own.watched = new Set(addresses)),
        announce: (address) => {
          if (stations.has(own)) announced.push(`${address} ${mac}`);
          claim(own, address);
        },
        ask: (address, toMac) => {
          if (!stations.has(own)) return;
          for (const station of stations) {
            const isAsked = station !== own && (toMac === undefined || station.mac === toMac);
            if (isAsked && station.answered.has(address)) claim(station, address, own);
          }
        },
        [Symbol.asyncDispose]: async () => void stations.delete(own),
      };
    },
  };
}
