export { createSyncNetlink } from './netlink.linux.ts';
