import { systemClock } from '#base/clock.ts';
import { serveCri } from '#agent/runtime/cri/cri.fixture.ts';
import { runtimeConformance } from '#agent/runtime/runtime.conformance.ts';
import { createFakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { connectForTest } from './cri-client.fixture.ts';

runtimeConformance('ours by CRI, over a fake', async () => {
  const fake = createFakeRuntime({ clock: systemClock });
  const { id } = fake.images.add('podwright/demo');
  const server = await serveCri(fake, { image: 'podwright/demo', isReal: false });
  const runtime = await connectForTest(server.endpoint);
  return {
    runtime,
    imageId: id,
    directory: server.directory,
    [Symbol.asyncDispose]: async () => {
      await runtime[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
});
