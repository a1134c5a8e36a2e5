import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Authorizer } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { AuthorizerSpec } from '#control-plane/apiserver/chain/authz/modes.ts';
import { ReloadCounts } from '#control-plane/apiserver/configuration/reload-counts.ts';
import { readAuthorizationConfiguration } from './authorization-configuration.ts';

/** How often the file is looked at. */
const lookMs = 5000;
/** How long webhooks of a former file stay, for questions that are under way: twice the longest time of one try. */
const lingerMs = 60_000;

interface Parts {
  readonly make: (specs: readonly AuthorizerSpec[]) => Authorizer & Disposable;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Authorizers that a file names, and what became of its changes. */
export type ConfiguredAuthorizer = Authorizer & Disposable & { readonly reloads: ReloadCounts };

/**
 * Asks those whom the file names, as it is now: a new one is taken without a restart, one that is wrong leaves those before it.
 * @throws {E_INVALID} for a file that is wrong at the start
 */
export function configuredAuthorizer(path: string, { make, clock, logger }: Parts): ConfiguredAuthorizer {
  let text = readText(path);
  let specs = readAuthorizationConfiguration(path);
  let current = make(specs);
  const first = specs;
  const lingering = new Set<Disposable>();
  const reloads = new ReloadCounts('authorization', clock);
  reloads.began(text ?? '');
  const letGo = (former: Disposable): void => {
    lingering.add(former);
    clock.after(lingerMs, () => {
      if (lingering.delete(former)) former[Symbol.dispose]();
    });
  };
  const look = (): void => {
    const now = readText(path);
    if (now !== text) {
      text = now;
      try {
        const next = readAuthorizationConfiguration(path, first);
        if (!isDeepStrictEqual(next, specs)) {
          const former = current;
          current = make(next);
          specs = next;
          letGo(former);
          reloads.taken(now ?? '');
          logger.info({ path }, 'the configuration of authorizers was read again');
        }
      } catch (error) {
        reloads.refused();
        logger.error(
          { path, cause: describeError(error) },
          'the configuration of authorizers is wrong: those of before go on',
        );
      }
    }
    timer = clock.after(lookMs, look);
  };
  let timer = clock.after(lookMs, look);
  return {
    name: 'configured',
    reloads,
    decide: (attributes) => current.decide(attributes),
    rulesOf: (user, namespace) => current.rulesOf(user, namespace),
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      current[Symbol.dispose]();
      for (const former of lingering) former[Symbol.dispose]();
      lingering.clear();
    },
  };
}

/** undefined while it is not there: whoever writes it anew may take it away first. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
