import { describeError, isPodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { PacketRedirector, PodLink, PodRoute } from '#native/bpf/redirect/packet-redirector.ts';

/**
 * Which pods' packets pass by the node's stack: those whom no policy can concern. A policy's verdict is the stack's, on the first packet of a
 * connection and, when policies change, on any.
 */
export interface Redirects extends Disposable {
  /** A pod has its cable. It is let in once it is known whom policies concern. */
  attach(sandboxId: string, link: PodLink): void;
  detach(sandboxId: string): void;
  /** Addresses of pods that policies may concern: told before rules say so, then each time that it changes. */
  setConcerned(ips: ReadonlySet<string>): void;
  setRoutes(routes: readonly PodRoute[]): void;
}

export interface RedirectsOptions {
  readonly redirector: PacketRedirector;
  readonly log: Logger;
}

export function createRedirects({ redirector, log }: RedirectsOptions): Redirects {
  const links = new Map<string, PodLink>();
  const admitted = new Map<string, PodLink>();
  let concerned: ReadonlySet<string> | undefined;
  let isRefused = false;

  /** Whether it is done. What fails leaves packets to the node's stack, where all work. */
  const attempt = (words: string, work: () => void): boolean => {
    if (isRefused) return false;
    try {
      work();
      return true;
    } catch (error) {
      if (isPodwrightError(error, 'E_UNSUPPORTED')) {
        isRefused = true;
        log.warn(
          { error: describeError(error) },
          'no fast path between pods here: the network stack does all',
        );
      } else log.warn({ error: describeError(error) }, words);
      return false;
    }
  };
  const admit = (sandboxId: string, link: PodLink): void => {
    if (concerned === undefined || link.ips.some((ip) => concerned?.has(ip) === true)) return;
    if (attempt('a pod is left to the network stack', () => redirector.admit(link)))
      admitted.set(sandboxId, link);
  };
  const withdraw = (sandboxId: string): void => {
    const link = admitted.get(sandboxId);
    if (link === undefined) return;
    redirector.withdraw(link);
    admitted.delete(sandboxId);
  };
  return {
    attach: (sandboxId, link) => {
      withdraw(sandboxId);
      links.set(sandboxId, link);
      admit(sandboxId, link);
    },
    detach: (sandboxId) => {
      links.delete(sandboxId);
      withdraw(sandboxId);
    },
    setConcerned: (ips) => {
      concerned = ips;
      for (const [sandboxId, { ips: own }] of [...admitted])
        if (own.some((ip) => ips.has(ip))) withdraw(sandboxId);
      for (const [sandboxId, link] of links) if (!admitted.has(sandboxId)) admit(sandboxId, link);
    },
    setRoutes: (routes) =>
      void attempt('pods of other nodes are left to the network stack', () => redirector.setRoutes(routes)),
    [Symbol.dispose]: () => redirector[Symbol.dispose](),
  };
}

/** What an earlier agent left at these cables goes. */
export function removeRedirects(links: Iterable<PodLink>, { redirector, log }: RedirectsOptions): void {
  try {
    for (const link of links) redirector.withdraw(link);
  } catch (error) {
    // A kernel without such programs has none that were left.
    if (!isPodwrightError(error, 'E_UNSUPPORTED'))
      log.warn({ error: describeError(error) }, 'programs that redirect packets are left');
  }
}
