import { expect, test, vi } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { ownNetns, type NetOp } from '#native/netlink/netlink.ts';
import { createKernelView } from './kernel-view.ts';

const routeTo = (destination: string, gateway = '192.0.2.2'): NetOp => ({
  op: 'ensureRoute',
  destination,
  gateway,
  protocol: 112,
});

async function openView() {
  const [netlink, clock] = [createFakeNetlink(), createFakeClock()];
  await netlink.apply(ownNetns, [
    { op: 'ensureAddress', name: 'eth0', address: '192.0.2.1/24' },
    { op: 'setLink', name: 'eth0', up: true },
  ]);
  const reads = vi.spyOn(netlink, 'state');
  const view = createKernelView(netlink, clock);
  const destinations = async (): Promise<readonly string[]> =>
    (await view.read()).routes.filter(({ protocol }) => protocol === 112).map((route) => route.destination);
  const carryOut = async (...ops: readonly NetOp[]): Promise<void> => {
    await netlink.apply(ownNetns, ops);
    view.done(ops);
  };
  await view.read();
  reads.mockClear();
  return { view, clock, reads, destinations, carryOut };
}

test('routes to where none led are known without reading', async () => {
  const { reads, destinations, carryOut } = await openView();

  await carryOut(routeTo('10.244.2.0/24'), routeTo('10.244.3.0/24'));

  expect(await destinations()).toEqual(['10.244.2.0/24', '10.244.3.0/24']);
  expect(reads).not.toHaveBeenCalled();
});

test.each([
  { what: 'a route that takes the place of another', op: routeTo('10.244.2.0/24', '192.0.2.3') },
  { what: 'one that ends another', op: { op: 'removeRoute', destination: '10.244.2.0/24' } },
  { what: 'one that refuses', op: { ...routeTo('10.244.4.0/24'), type: 'unreachable', gateway: undefined } },
] as { what: string; op: NetOp }[])('$what is read again', async ({ op }) => {
  const { reads, destinations, carryOut } = await openView();
  await carryOut(routeTo('10.244.2.0/24'));

  await carryOut(op);

  await destinations();
  expect(reads).toHaveBeenCalledTimes(1);
});

test('what somebody changed while it was read is read again, and what was read is not gone by for long', async () => {
  const { view, clock, reads } = await openView();
  view.forget();

  const reading = view.read();
  view.forget();
  await reading;
  await view.read();
  expect(reads).toHaveBeenCalledTimes(2);

  clock.advance(10_000);
  await view.read();
  expect(reads).toHaveBeenCalledTimes(3);
});
