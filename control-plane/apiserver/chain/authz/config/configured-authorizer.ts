import { readFileSync } from 'node:fs';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Authorizer } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { AuthorizerSpec } from '#control-plane/apiserver/chain/authz/modes.ts';
import { readAuthorizationConfiguration } from './authorization-configuration.ts';

/** How often the file is looked at. */
const lookMs = 5000;

interface Parts {
  readonly make: (specs: readonly AuthorizerSpec[]) => Authorizer & Disposable;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Asks those whom the file names, as it is now: a new one is taken without a restart, one that is wrong leaves those before it.
 * @throws {E_INVALID} for a file that is wrong at the start
 */
export function configuredAuthorizer(path: string, { make, clock, logger }: Parts): Authorizer & Disposable {
  let text = readText(path);
  let current = make(readAuthorizationConfiguration(path));
  const look = (): void => {
    const now = readText(path);
    if (now !== text) {
      text = now;
      try {
        const next = make(readAuthorizationConfiguration(path));
        current[Symbol.dispose]();
        current = next;
        logger.info({ path }, 'the configuration of authorizers was read again');
      } catch (error) {
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
    decide: (attributes) => current.decide(attributes),
    rulesOf: (user, namespace) => current.rulesOf(user, namespace),
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      current[Symbol.dispose]();
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
