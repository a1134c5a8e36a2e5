/** Signals by which containers can be asked to stop (core/v1 Signal), sorted as messages list them. */
export const windowsSignals: readonly string[] = ['SIGKILL', 'SIGTERM'];

const named =
  'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ';
const upTo = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);

export const linuxSignals: readonly string[] = [
  ...named.split(' ').map((name) => `SIG${name}`),
  'SIGRTMIN',
  ...upTo('SIGRTMIN+', 15),
  ...upTo('SIGRTMAX-', 14),
  'SIGRTMAX',
].toSorted();
