"""What goes wrong on a page, told to the person before it."""


class PageError(Exception):
    """Answered with a page that says what, and what to do."""

    def __init__(self, status: int, heading: str, text: str, advice: str) -> None:
        super().__init__(text)
        self.status = status
        self.heading = heading
        self.text = text
        self.advice = advice


class ForeignFormError(PageError):
    """A form that no page of ours sent, or an old one."""

    def __init__(self, text: str) -> None:
        advice = "Nothing was changed. Go back, load the page anew and try again."
        super().__init__(403, "This form was not taken", text, advice)
