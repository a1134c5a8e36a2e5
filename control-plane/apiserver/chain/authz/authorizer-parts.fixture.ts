import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { Registry } from '#control-plane/apiserver/objects/registry.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import type { AuthorizerParts } from './authorizers.ts';

/** What authorizers go by, of a cluster in which nothing is. */
export function emptyParts(): AuthorizerParts {
  const clock = createFakeClock();
  const registry = new Registry(createFakeStore(), () => clock.now());
  return { registry, clock, logger: silentLogger };
}
