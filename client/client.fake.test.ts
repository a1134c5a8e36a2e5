import { createFakeClock } from '#base/clock.ts';
import { describeApiClient } from './client.conformance.ts';
import { createFakeApiClient } from './client.fake.ts';

describeApiClient('fake', async () => {
  const client = createFakeApiClient(createFakeClock(Date.UTC(2026, 0, 1)));
  return {
    client,
    applies: true,
    compact: () => client.compact(),
    [Symbol.asyncDispose]: async () => undefined,
  };
});
