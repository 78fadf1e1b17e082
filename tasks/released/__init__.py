"""Flow runs that wait for the platform without a process."""
