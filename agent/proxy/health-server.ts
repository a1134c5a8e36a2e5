import { once } from 'node:events';
import type { Server } from 'node:http';
import { http } from '#base/http/http.ts';
import type { Clock } from '#base/clock.ts';
import { KeyedQueue } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import { answerServiceCheck, type HealthAnswer, type ListenAt, type ServiceCheck } from './health-answers.ts';

export interface HealthServerOptions {
  /** Address that all ports are opened at. */
  readonly host: string;
  /** Addresses of Services' ports, asked when one is opened; absent: as all others. */
  readonly checkHosts?: () => readonly ListenAt[];
  /** The proxy's own port; absent: none. */
  readonly node?: {
    /** Absent or '': as all others. */
    readonly host?: string;
    readonly port: number;
    readonly answer: (path: string) => HealthAnswer;
  };
  readonly isHealthy: () => boolean;
  /** A Service's port could not be opened; told at each try. */
  readonly onFailure?: (check: ServiceCheck, error: unknown) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** HTTP ports of the node by which load balancers find out where to send packets. */
export interface HealthServer extends AsyncDisposable {
  /** Replaces what is answered for an owner (a Service's `namespace/name`); undefined: its port is closed. */
  set(owner: string, check: ServiceCheck | undefined): void;
  /** Resolves when each port is as wanted, or could not be opened and waits to be tried again. */
  idle(): Promise<void>;
}

/** Of one port: a load balancer has a handful of checkers. */
const connectionsMax = 256;

/** For a request that comes while its port is being closed. */
const closing: HealthAnswer = { status: 503, headers: {}, body: '' };

/** A port that is taken is tried again, less and less often; the others do not wait for it. */
export function createHealthServer(options: HealthServerOptions): HealthServer {
  const { clock, log } = options;
  const checks = new Map<string, ServiceCheck>();
  const portOwners = new Map<number, string>();
  const servers = new Map<number, readonly Server[]>();

  const answer = (port: number, path: string): HealthAnswer | undefined => {
    if (port === options.node?.port) return options.node.answer(path);
    const check = checks.get(portOwners.get(port) ?? '');
    return check === undefined ? undefined : answerServiceCheck(check, options.isHealthy());
  };
  const settle = async (port: number): Promise<void> => {
    const server = servers.get(port);
    const isOwn = port === options.node?.port;
    const isWanted = isOwn || portOwners.has(port);
    const hosts = (): readonly ListenAt[] => {
      const host = isOwn && (options.node?.host ?? '') !== '' ? (options.node?.host ?? '') : options.host;
      return isOwn ? [{ host }] : (options.checkHosts?.() ?? [{ host }]);
    };
    if (isWanted && server === undefined)
      servers.set(port, await listenAll(hosts(), port, (path) => answer(port, path)));
    else if (!isWanted && server !== undefined) {
      servers.delete(port);
      await Promise.all(server.map(close));
    }
  };
  const ports = new KeyedQueue<`${number}`>({
    clock,
    concurrencyMax: 1,
    backoff: { initialMs: 500, factor: 2, maxMs: 30_000 },
    work: (port) => settle(Number(port)),
    onError: (port, error, retryMs) => {
      log.warn({ port, error, retryMs }, 'health check port not open');
      const check = checks.get(portOwners.get(Number(port)) ?? '');
      if (check !== undefined) options.onFailure?.(check, error);
    },
  });
  if (options.node !== undefined) ports.add(`${options.node.port}`);

  return {
    set: (owner, check) => {
      const old = checks.get(owner);
      if (check === undefined) checks.delete(owner);
      else checks.set(owner, check);
      if (old?.port === check?.port) return;
      if (old !== undefined && portOwners.get(old.port) === owner) portOwners.delete(old.port);
      if (check !== undefined) portOwners.set(check.port, owner);
      for (const port of [old?.port, check?.port]) if (port !== undefined) ports.add(`${port}`);
    },
    idle: () => ports.idle(),
    [Symbol.asyncDispose]: async () => {
      await ports[Symbol.asyncDispose]();
      await Promise.all([...servers.values()].flat().map(close));
    },
  };
}

/** At all of them, or none. @throws whatever listen(2) says of one */
async function listenAll(
  hosts: readonly ListenAt[],
  port: number,
  answer: (path: string) => HealthAnswer | undefined,
): Promise<readonly Server[]> {
  const opened: Server[] = [];
  try {
    for (const at of hosts) opened.push(await listen(at, port, answer));
  } catch (error) {
    await Promise.all(opened.map(close));
    throw error;
  }
  return opened;
}

async function listen(
  at: ListenAt,
  port: number,
  answer: (path: string) => HealthAnswer | undefined,
): Promise<Server> {
  const server = http.createServer((request, response) => {
    const { status, headers, body } = answer(pathOf(request.url)) ?? closing;
    response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) }).end(body);
  });
  server.maxConnections = connectionsMax;
  server.listen({ ...at, port, exclusive: true });
  await once(server, 'listening'); // Rejects with the error of listen(2).
  return server;
}

/** Without the query. By hand, since a URL parser throws at what a client may send. */
const pathOf = (url: string | undefined): string => (url ?? '/').replace(/\?.*$/s, '');

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
