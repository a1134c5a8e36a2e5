/** What of volumes and devices may help pods that no node did for. */
import { claimEvent, deviceClaimEvent, volumeEvent, type ClusterEvent } from './cluster-event.ts';
import type { DeviceBinder } from './devices/device-binder.ts';
import type { VolumeBinder } from './volumes/bind-volumes.ts';

type Wake = (events: readonly ClusterEvent[]) => void;

export function followVolumes(volumeBinder: VolumeBinder, wake: Wake): Disposable {
  const { claims, volumes, classes, drivers, csiNodes, capacities, attachments } = volumeBinder;
  using stack = new DisposableStack();

  stack.use(drivers.onChange(() => wake([{ kind: 'csiDriver' }])));
  stack.use(capacities.onChange(() => wake([{ kind: 'capacity' }])));
  stack.use(csiNodes.onChange(() => wake([{ kind: 'csiNode' }])));
  stack.use(attachments.onChange(({ current }) => wake(current === undefined ? [{ kind: 'detached' }] : [])));
  stack.use(
    claims.onChange(({ key, old, current }) => {
      volumeBinder.note('claim', key);
      wake(claimEvent(key, old, current));
    }),
  );
  stack.use(volumes.onChange(({ old, current }) => wake(volumeEvent(old, current))));
  stack.use(classes.onChange(({ current }) => wake(current === undefined ? [] : [{ kind: 'volume' }])));
  return stack.move();
}

export function followDevices(deviceBinder: DeviceBinder, wake: Wake): Disposable {
  const { claims, slices, classes, taintRules } = deviceBinder;
  using stack = new DisposableStack();

  stack.use(
    claims.onChange(({ key, old, current }) => {
      deviceBinder.note(key, current);
      wake(deviceClaimEvent(key, old, current));
    }),
  );
  for (const informer of [slices, taintRules]) {
    const handle = informer?.onChange(() => {
      deviceBinder.noteSlices();
      wake([{ kind: 'devices' }]);
    });
    if (handle !== undefined) stack.use(handle);
  }
  stack.use(
    classes.onChange(({ current }) => {
      deviceBinder.noteClasses();
      wake(current === undefined ? [] : [{ kind: 'devices' }]);
    }),
  );
  return stack.move();
}
