"""The tables and plots of the field's papers, measured on the core that ships, in the simulator."""
