import { tmpdir } from 'node:os';
import { systemClock } from '#base/clock.ts';
import { runtimeConformance } from './runtime.conformance.ts';
import { createFakeRuntime } from './runtime.fake.ts';

runtimeConformance('fake', async () => {
  const runtime = createFakeRuntime({ clock: systemClock });
  const { id } = runtime.images.add('podwright/demo');
  return {
    runtime,
    imageId: id,
    directory: tmpdir(),
    [Symbol.asyncDispose]: () => runtime[Symbol.asyncDispose](),
  };
});
