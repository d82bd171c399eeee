"""``python -m whyformer``, as launchers of processes start it."""

from whyformer.cli.main import main

if __name__ == "__main__":
    main()
