import type { Clock } from '#base/clock.ts';
import { tokenUnionOf, type TokenAuthenticator } from '#control-plane/apiserver/chain/authn/authenticator.ts';
import type { JwtIssuer } from './configuration.ts';
import { createIssuerKeys, type IssuerKeys } from './issuer-keys.ts';
import { jwtAuthenticator } from './jwt-authenticator.ts';

/** Tokens of issuers that may become others while the server runs. */
export interface ConfiguredIssuers {
  readonly authenticator: TokenAuthenticator;
  /**
   * Fetches keys of those whom it does not know, which `use` then has.
   * @throws {E_CONNECTION} where one of them cannot be asked
   */
  ready(issuers: readonly JwtIssuer[]): Promise<void>;
  /** From now on tokens of these are taken, and no others. Keys of an issuer that is asked at the same place stay. */
  use(issuers: readonly JwtIssuer[]): void;
}

export function createConfiguredIssuers(
  issuers: readonly JwtIssuer[],
  { clock, apiAudiences }: { readonly clock: Clock; readonly apiAudiences: readonly string[] },
): ConfiguredIssuers {
  let keysBySource: ReadonlyMap<string, IssuerKeys> = new Map();
  /** Of issuers that are about to be used. */
  let readied: ReadonlyMap<string, IssuerKeys> = new Map();
  let current = tokenUnionOf([]);
  const keysOf = (issuer: JwtIssuer): readonly [string, IssuerKeys] => {
    const { url, discoveryUrl, caPem } = issuer;
    const source = JSON.stringify([url, discoveryUrl, caPem]);
    const known = keysBySource.get(source) ?? readied.get(source);
    return [source, known ?? createIssuerKeys(issuer, clock)];
  };
  const ready = async (next: readonly JwtIssuer[]): Promise<void> => {
    const entries = next.map(keysOf);
    readied = new Map(entries);
    for (const [source, keys] of entries) {
      if (!keysBySource.has(source)) await keys.keysFor(undefined);
    }
  };
  const use = (next: readonly JwtIssuer[]): void => {
    const entries = next.map(keysOf);
    current = tokenUnionOf(
      next.flatMap((issuer, index) => {
        const keys = entries[index]?.[1];
        return keys === undefined ? [] : [jwtAuthenticator(issuer, { keys, clock, apiAudiences })];
      }),
    );
    keysBySource = new Map(entries);
    readied = new Map();
  };
  use(issuers);
  return {
    authenticator: {
      name: 'jwt',
      authenticateToken: (token, audiences) => current.authenticateToken(token, audiences),
    },
    ready,
    use,
  };
}
