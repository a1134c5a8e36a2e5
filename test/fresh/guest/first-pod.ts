/** Inside a fresh machine, where there is no kubectl: makes a pod of the demo image through the API and waits until it runs. KUBECONFIG says where. */
import { pods } from '#api/schema/kind-ref.ts';
import { systemClock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { createApiClient } from '#client/api-client.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';

const deadlineMs = 60_000;
const name = 'first';

async function main(): Promise<void> {
  await using transport = createHttpTransport(loadKubeconfig(process.env['KUBECONFIG'] ?? '', systemClock));
  const client = createApiClient({ transport, userAgent: 'podwright-fresh' });
  const metadata = { name, namespace: 'default' };
  const containers = [{ name: 'main', image: 'podwright/demo:1' }];
  await client.create(pods, { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers } });
  const giveUpMs = systemClock.monotonic() + deadlineMs;
  for (;;) {
    const { status } = await client.get(pods, metadata);
    if (status?.phase === 'Running') {
      console.log(`${name} is Running at ${status.podIP}`);
      return;
    }
    const state = JSON.stringify(status?.containerStatuses?.[0]?.state ?? status?.conditions ?? {});
    if (systemClock.monotonic() > giveUpMs) throw new Error(`${name} is ${status?.phase}: ${state}`);
    await systemClock.sleep(100);
  }
}

try {
  await main();
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
