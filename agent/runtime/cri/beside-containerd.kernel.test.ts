/** Debian's containerd is asked the same: what the suite counts on is not only ours. */
import { describe } from 'vitest';
import { loadContract } from '#proto/load.ts';
import { createUnixClient } from '#proto/unix-client.ts';
import { containerdLacks, startContainerd } from './containerd.fixture.ts';
import { criConformance, type CriUnderTest } from './cri.conformance.ts';

async function make(): Promise<CriUnderTest> {
  const containerd = await startContainerd('apart');
  const contract = await loadContract('cri-v1');
  const client = createUnixClient(contract, { endpoint: containerd.endpoint, timeoutMs: 120_000 });
  return {
    client,
    runtime: contract.services['runtime.v1.RuntimeService'],
    images: contract.services['runtime.v1.ImageService'],
    directory: `${containerd.directory}/logs`,
    image: containerd.image,
    isReal: true,
    isOurs: false,
    sandbox: { linux: { security_context: { namespace_options: { pid: 'CONTAINER' } } } },
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await containerd[Symbol.asyncDispose]();
    },
  };
}

describe.skipIf(containerdLacks !== undefined)(
  `beside Debian's containerd (${containerdLacks ?? 'it is there'})`,
  () => criConformance("Debian's containerd", make),
);
