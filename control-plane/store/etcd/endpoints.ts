import { PodwrightError } from '#base/errors.ts';

/** PEM texts. Without `cert` and `key`, the servers are checked and nobody shows who asks. */
export interface EtcdTls {
  /** Default: the roots that Node knows. */
  readonly ca?: Uint8Array;
  readonly cert?: Uint8Array;
  readonly key?: Uint8Array;
}

export interface EtcdEndpoints {
  /** `host:port`, as gRPC names them. */
  readonly addresses: readonly string[];
  readonly isSecure: boolean;
}

const defaultPort = 2379;

/** `http://10.0.0.1:2379`, `https://[fd00::1]`. @throws E_USAGE */
export function parseEndpoints(urls: readonly string[]): EtcdEndpoints {
  const parsed = urls.map(parseEndpoint);
  const [first] = parsed;
  if (first === undefined) throw new PodwrightError('E_USAGE', 'connect to etcd: no URL is given');
  const odd = parsed.findIndex(({ isSecure }) => isSecure !== first.isSecure);
  if (odd >= 0) {
    throw new PodwrightError('E_USAGE', `connect to etcd ${urls[odd]}: http and https do not mix`);
  }
  return { addresses: parsed.map(({ address }) => address), isSecure: first.isSecure };
}

function parseEndpoint(text: string): { readonly address: string; readonly isSecure: boolean } {
  const match = /^(https?):\/\/(\[[0-9a-fA-F:.]+\]|[^:/@[\]\s]+)(?::(\d{1,5}))?\/?$/.exec(text);
  const port = Number(match?.[3] ?? defaultPort);
  if (match === null || port > 65_535) {
    throw new PodwrightError('E_USAGE', `connect to etcd ${text}: write http[s]://HOST:PORT`);
  }
  return { address: `${match[2]}:${port}`, isSecure: match[1] === 'https' };
}
