/** Keeps of each Widget as many ConfigMaps as it says. Several of these processes may run; one works. */
import {
  configMaps,
  connect,
  createChildren,
  keepFinalizer,
  ownKey,
  processSignal,
  runController,
  runOperator,
  withCondition,
  writeStatus,
  type ConfigMap,
  type Controller,
  type OperatorContext,
} from 'podwright/client';
import { widgets, type Widget } from './widget.ts';

const label = 'example.com/widget';

/** What a Widget is to have. Names follow from the owner's: made twice, a part is there once. */
const partsOf = ({ metadata: { name = '' } = {}, spec }: Widget): readonly ConfigMap[] =>
  Array.from({ length: spec.parts }, (_, index) => ({
    metadata: { name: `${name}-${index}`, labels: { [label]: name } },
    data: { text: spec.text },
  }));

export function startWidgets(context: OperatorContext): readonly Controller[] {
  const { client, informers, clock } = context;
  const cache = informers.for(widgets);
  const parts = createChildren(context, {
    ...{ of: widgets, kind: configMaps, labelSelector: label },
    fieldManager: 'widget-operator',
  });
  const finalizer = {
    ...{ client, kind: widgets, name: 'example.com/parts' },
    cleanup: (widget: Widget) => parts.keep(widget, []),
  };
  const reconcile = async (key: string, signal: AbortSignal): Promise<void> => {
    const found = cache.get(key);
    const widget = found && (await keepFinalizer(found, finalizer, signal));
    if (widget === undefined) return;
    const wanted = partsOf(widget);
    await parts.keep(widget, wanted);
    const ready = { type: 'Ready', status: 'True', reason: 'AllThere' } as const;
    const conditions = withCondition(widget.status?.conditions, ready, clock.now());
    const observedGeneration = widget.metadata?.generation;
    const status = { parts: wanted.length, observedGeneration, conditions };
    cache.observe(await writeStatus(client, widgets, widget, status));
  };
  return [runController({ ...context, name: 'widgets', sources: [ownKey(cache), parts.source], reconcile })];
}

if (import.meta.main) {
  await using client = connect({ userAgent: 'widget-operator/1.0' });
  const lease = { namespace: client.namespace, name: 'widget-operator' };
  await runOperator({ client, lease, start: startWidgets, signal: processSignal() });
}
