/** What the kernel says when memory is short: lines of /dev/kmsg (Documentation/ABI/testing/dev-kmsg). Pure. */

/** A process that the OOM killer ended. */
export interface OomKill {
  readonly pid: number;
  /** comm of the process. */
  readonly name: string;
  /** The cgroup whose limit it was, and that of the process, from the top; '/' is the machine. */
  readonly limitedCgroup: string;
  readonly cgroup: string;
}

/**
 * `oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a/b,task=x,pid=7,uid=0`
 * (dump_oom_summary of mm/oom_kill.c, since 5.0); undefined for any other line. What a process calls itself may have commas in it.
 */
export function parseOomKill(line: string): OomKill | undefined {
  const text = /^\d+,\d+,\d+,[^;]*;oom-kill:(.*)$/.exec(line)?.[1];
  if (text === undefined) return undefined;
  const match = /,task_memcg=(.*),task=(.*),pid=(\d+),uid=\d+$/.exec(text);
  if (match === null) return undefined;
  const [, cgroup = '/', name = '', pid = ''] = match;
  const isOfCgroup = text.startsWith('constraint=CONSTRAINT_MEMCG,');
  return { pid: Number(pid), name, cgroup, limitedCgroup: isOfCgroup ? limitOf(text) : '/' };
}

function limitOf(text: string): string {
  return /,oom_memcg=([^,]*),/.exec(text)?.[1] ?? '/';
}

/** The uid of the pod that a cgroup is of, as this node names them; undefined: of none. */
export function podOf(
  cgroup: string,
): { readonly uid: string; readonly container: string | undefined } | undefined {
  const match =
    /\/kubepods(?:\/(?:burstable|besteffort))?\/pod([0-9a-z-]+)(?:\/([0-9a-f]{64}))?(?:\/|$)/.exec(cgroup);
  return match?.[1] === undefined ? undefined : { uid: match[1], container: match[2] };
}
